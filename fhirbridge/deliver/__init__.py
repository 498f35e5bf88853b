"""STEP 4. Take what is due to its EHR, exactly as pinned; read an unknown outcome back first."""
