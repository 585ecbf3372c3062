"""QAD ERP: suppliers, purchase orders, goods receipts and supplier invoices over its REST interface."""
