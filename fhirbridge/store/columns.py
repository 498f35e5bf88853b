"""Types of columns that are the same on SQLite and on PostgreSQL, and the list of all tables."""

from sqlalchemy import BigInteger, MetaData
from sqlalchemy import Integer as AnyInteger
from sqlalchemy import Text as AnyText

# Times, states and ids are compared as text: by their bytes, not by the rules of a language.
Text = AnyText().with_variant(AnyText(collation="C"), "postgresql")
# SQLite's has 64 bits.
Integer = AnyInteger().with_variant(BigInteger(), "postgresql")
metadata = MetaData()
