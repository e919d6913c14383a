"""Run notebooks and export them as HTML reports that work offline.

This package knows notebooks and their outputs; it never imports an analysis.
"""
