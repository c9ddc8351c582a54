"""The Accredit server: interceptors say who calls, servicers translate, abilities decide."""
