"""STEP 4. Take what is due to its EHR, exactly as pinned; an unknown outcome is read back, never sent blindly."""
