"""Which of an EHR's patients a patient of ours is: decided by rules, by $match, or by a person."""
