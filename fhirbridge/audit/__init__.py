"""Who did what, when, with which exact bytes: append-only rows in the transaction of the change itself."""
