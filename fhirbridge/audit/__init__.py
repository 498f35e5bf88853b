"""Who did what, when, with which exact bytes: append-only, in the transaction of the change."""
