"""The cost of dense and packed layers on a target: bytes and instructions."""
