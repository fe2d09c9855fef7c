"""HTTP exchanges on kept connections, stamped by the kernel. Knows nothing of chat."""
