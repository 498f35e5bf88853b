"""What a record is checked for once its form is right: each rule adds findings to the draft."""
