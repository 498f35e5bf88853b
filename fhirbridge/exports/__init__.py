"""Packages of resources for auditors: chosen, written, signed, and checked without us."""
