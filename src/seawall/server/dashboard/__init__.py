"""The dashboard: what a risk officer looks at all day, served by a process of its own that only reads."""
