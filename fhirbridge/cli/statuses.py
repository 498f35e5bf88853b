"""Exit statuses that scripts rely on, besides 0 (done) and 1 (an error): docs/operate.md."""

CHANGES = 2  # a plan would send something
WAITS = 3  # done as far as it goes: something waits for its time or for a person
