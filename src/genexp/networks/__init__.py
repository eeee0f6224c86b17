"""Networks: nn.Modules that know no loss; shape, depth and channels are arguments."""
