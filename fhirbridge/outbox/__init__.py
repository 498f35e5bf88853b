"""STEP 3. What must arrive, in order for each patient, written in the record's transaction."""
