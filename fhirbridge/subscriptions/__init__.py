"""What EHRs tell us by themselves: our Subscriptions there, and notifications, which are hints."""
