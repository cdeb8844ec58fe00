"""Files for Prometheus, Alertmanager and Grafana; `vfd-monitor ops-files DIR` writes them out."""
