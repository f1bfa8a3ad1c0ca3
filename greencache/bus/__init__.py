"""Who else must forget this key: announcements between caches."""
