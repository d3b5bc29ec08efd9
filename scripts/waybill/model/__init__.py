"""The words of Waybill as types: transfer, dataset, entry, selection, names, units, errors."""
