"""Factor sets at rest: the YAML that people edit, its checks, and the JSON that programs read."""
