"""What a person looks at: pictures, pages, the card, the finished model directory."""
