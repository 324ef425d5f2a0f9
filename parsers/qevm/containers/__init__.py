"""What can be wrapped round a stream; each container turns a Source into Streams (containers.md)."""
