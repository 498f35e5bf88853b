"""Tell others by signed webhooks that something happened: no PHI, sent until it is taken."""
