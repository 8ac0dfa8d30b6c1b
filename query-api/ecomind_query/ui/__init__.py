"""The page: what a person sees of Ecomind, rendered on the server from the API's own shapes."""
