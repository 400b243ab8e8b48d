"""What is asked of people, who may answer, and whom a rung reaches."""
