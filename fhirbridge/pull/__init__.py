"""What an EHR knows of a patient, asked for, kept sealed for a while and handed back."""
