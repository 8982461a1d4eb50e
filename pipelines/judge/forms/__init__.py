"""Forms: strains and phrases, and how like they are."""
