"""The codecs that a leg may speak, each between octets and float32 samples of full scale ±1."""
