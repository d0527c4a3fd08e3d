"""What a site of one's own needs: sizes, ports, downloads, and the bundle for a site without a network."""
