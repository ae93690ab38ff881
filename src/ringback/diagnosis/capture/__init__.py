"""Captures: files of packets read into columns, whatever they are wrapped in and wherever they break."""
