"""The growing picture: geometry, the plan of steps, the store on disk, compositing and export."""
