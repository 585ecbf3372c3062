"""QAD ERP over its REST interface: suppliers, orders, receipts, supplier invoices, payments and codes."""
