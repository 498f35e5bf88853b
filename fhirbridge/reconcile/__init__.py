"""Ask an EHR what it holds of ours, compare it with the ledger, owe it again or ask a person."""
