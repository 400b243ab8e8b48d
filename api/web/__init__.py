"""The pages: Jinja templates over the read model, one stylesheet, a few small scripts; nothing from elsewhere.

A page is composed: its handler in ``pages/`` reads, ``words`` and ``charts`` turn facts into sentences and lines, the
macros in ``templates/parts.html`` give each component its one shape.  To add a page: a handler, a template, a row in
``api.auth.ROLES``.
"""
