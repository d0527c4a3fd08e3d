"""Makes the bundle (`make bundle`) for a site whose machines reach no network but their own."""
