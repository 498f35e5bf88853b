"""The HTTP door for clinic systems and operators. A route is denied unless declared."""
