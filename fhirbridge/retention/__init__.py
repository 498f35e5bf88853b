"""How long charts are kept, what a legal hold keeps longer, and how what is over goes."""
