"""What Scriba talks about: transcripts, languages, options, errors. Standard library only."""
