"""The schema's history, one numbered file a step, run by `ControlStore.migrate`."""
