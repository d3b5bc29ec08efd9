"""The words of Waybill as types: transfers, datasets, entries, differences, selections, errors."""
