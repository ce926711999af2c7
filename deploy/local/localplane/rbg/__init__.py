"""A stand-in for the RBG controller: RoleBasedGroups in, RoleInstanceSets, RoleInstances and pods out.

It behaves like the recorded real one where an autoscaler can tell the difference. Planners are pure functions
over API objects (plain dicts); `controller` and the `*_loop` modules carry their plans out.
"""
