"""What an EHR has itself besides patients: found for certain, or left out."""
