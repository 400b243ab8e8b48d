"""What discovery saw and whom it belongs to: the one writer of discoveries, certificates, looks, judged chains,
managed, slots, notices and findings."""
