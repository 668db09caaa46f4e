"""What is done with GitLab: variables kept equal to the stack, copied and put back; jobs played and followed."""
