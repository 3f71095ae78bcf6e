"""Search for the members of an ensemble by the loss on the rows given."""
