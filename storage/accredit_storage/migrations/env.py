"""What Alembic runs for each command: our tables, in the transaction that ``migrate`` has begun."""

from alembic import context

from accredit_storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can alter little in place: there a batch makes the table anew.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
