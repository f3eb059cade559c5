"""The kind `FailoverPolicy`: when users of one site are sent to another, and when not (S8)."""
