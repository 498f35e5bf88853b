"""Tell a person once when something is wrong and once when it is over, without the EHR."""
