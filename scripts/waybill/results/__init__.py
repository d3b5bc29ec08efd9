"""Every file under results/{transfer}: its path, its format, its reader, its writer."""
