"""Selection of members and of decisions: functions on arrays behind the combiners."""
