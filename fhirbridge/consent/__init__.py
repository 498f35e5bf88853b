"""Whether a patient allows a destination to receive: one state per patient, kind and recipient."""
